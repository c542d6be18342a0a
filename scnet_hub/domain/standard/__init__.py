"""The documents of the member-centre standard: the page of a centre (`centre`) and of the federation (`federation`).
Parses and checks text; reads no file and calls no centre."""

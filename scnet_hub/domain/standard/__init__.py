"""Documents of the member-centre standard: what a centre promises (`centre`) and what a federation is made of
(`federation`). Parsed from text and checked here; nothing here reads a file or talks to a centre.
"""

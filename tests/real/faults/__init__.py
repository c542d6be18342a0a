"""The fault suite: a seeded schedule breaks a real federation under load, and a checker reports the damage."""

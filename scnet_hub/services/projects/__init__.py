"""Keeps projects, allocations, account links and mails, and erases a person's data."""

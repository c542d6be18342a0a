"""Projects, their allocations, members' account links, mails, and the erasure of a person."""

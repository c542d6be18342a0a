"""The ledger: what projects may spend and have spent. Entries and prices are pure; `books` is the only writer."""

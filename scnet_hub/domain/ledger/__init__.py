"""The ledger: the credits that projects may spend and have spent. Entries and bills are pure values;
`services/accounting/books.py` is the only writer.
"""

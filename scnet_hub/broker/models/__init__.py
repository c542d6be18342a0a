"""What each REST call takes and answers, as pydantic models: one file a noun. The OpenAPI document is made from them.

Bodies are validated by them. Answers are built as dicts by the services and sent as they are; the suite validates every
answer that it sees, so that no request pays for it.
"""

"""The bodies and answers of each REST call as pydantic models: one file a noun. The OpenAPI document is made from them.

Bodies are validated by the models. Answers are built as dicts by the services and sent unchanged; the tests validate
every answer, so that no request has that cost.
"""

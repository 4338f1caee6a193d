"""The bodies of HTTP requests and answers, shared by client and API. Field names are the public contract."""

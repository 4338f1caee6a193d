"""A typed client of the HTTP API, the same for a server and for the platform in this process."""

from livecalc.client.client import Client
from livecalc.client.job import JobHandle
from livecalc.client.result import ResultArray

__all__ = ["Client", "JobHandle", "ResultArray"]

"""Making a bucket's namespace, on the record; and that its retention can be kept, before anything is made."""

from contextlib import AbstractAsyncContextManager

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobStore
from livecalc.cluster.port import Cluster
from livecalc.domain.buckets import namespace_name
from livecalc.domain.errors import InvalidInput
from livecalc.domain.namespaces import NamespaceRecord, new_annotations, new_labels
from livecalc.domain.retention import Retention
from livecalc.domain.shelves import regulatory_container
from livecalc.domain.tenants import Principal


class Creation:
    """Makes namespaces, and knows nothing of those that are there."""

    def __init__(self, *, cluster: Cluster, blobs: BlobStore, audit: AuditLog) -> None:
        self._cluster = cluster
        self._blobs = blobs
        self._audit = audit

    async def refuse_unprotected(
        self, principal: Principal, bucket_id: str, retention: Retention | None, request_id: str
    ) -> None:
        """Raise InvalidInput, on the record, for a retention that the store does not prove."""
        if retention is not Retention.REGULATORY:
            return
        missing = await self._blobs.protection(regulatory_container(principal.tenant_key))
        if missing is not None:
            async with self._audited(principal, bucket_id, retention, request_id):
                raise InvalidInput(f"retention=regulatory cannot be had here: {missing}")

    async def create(
        self, principal: Principal, bucket_id: str, retention: Retention, request_id: str
    ) -> NamespaceRecord:
        """Make one on the record. Raises AlreadyExists."""
        async with self._audited(principal, bucket_id, retention, request_id):
            return await self.make(principal, bucket_id, retention)

    async def make(self, principal: Principal, bucket_id: str, retention: Retention) -> NamespaceRecord:
        """Make one that is a part of something else on the record. Raises AlreadyExists."""
        return await self._cluster.create_namespace(
            namespace_name(bucket_id),
            labels=new_labels(bucket_id, principal.tenant_id),
            annotations=new_annotations(principal.tenant_id, retention, await self._cluster.now()),
        )

    def _audited(
        self, principal: Principal, bucket_id: str, retention: Retention, request_id: str
    ) -> AbstractAsyncContextManager[object]:
        return self._audit.operation(
            principal=principal,
            operation="create-namespace",
            namespace=namespace_name(bucket_id),
            bucket_id=bucket_id,
            request_id=request_id,
            detail={"retention": retention},
            required=False,
        )

"""`GET /v1/platform/audit/verify` knows the heads that archives and ended jobs hold."""

from pathlib import Path

from support.platforms import ANA, STEADY, pack_model

import livecalc


def test_a_chain_cut_behind_the_last_job_does_not_hold(tmp_path: Path) -> None:
    with livecalc.connect(home=tmp_path / "home", tenant=ANA.tenant_id, user=ANA.user_id) as calc:
        job = calc.submit(pack_model(tmp_path / "m", STEADY), bucket="b1").wait().job()
        calc.finalize(job.namespace)
        calc.reap(job.namespace)
        assert calc.verify_audit().holds
    chain = tmp_path / "home" / "blobs" / f"audit-{ANA.tenant_key}"
    records = sorted(path for path in chain.iterdir() if path.name.isdecimal())
    records[-1].unlink()
    with livecalc.connect(home=tmp_path / "home", tenant=ANA.tenant_id, user=ANA.user_id) as calc:
        assert calc.verify_audit().holds, "nothing holds the head of the reaping's outcome"
    records[-2].unlink()
    with livecalc.connect(home=tmp_path / "home", tenant=ANA.tenant_id, user=ANA.user_id) as calc:
        verified = calc.verify_audit()
        assert not verified.holds
        assert "the chain ends at" in (verified.reason or "")


def test_a_missing_record_does_not_hide_the_later_ones(tmp_path: Path) -> None:
    with livecalc.connect(home=tmp_path / "home", tenant=ANA.tenant_id, user=ANA.user_id) as calc:
        for bucket in ("b1", "b2", "b3"):
            calc.create_namespace(bucket)
        count = len(calc.audit())
    chain = tmp_path / "home" / "blobs" / f"audit-{ANA.tenant_key}"
    (chain / f"{2:012}").unlink()
    with livecalc.connect(home=tmp_path / "home", tenant=ANA.tenant_id, user=ANA.user_id) as calc:
        assert len(calc.audit()) == count - 1
        assert calc.verify_audit().first_bad == 2

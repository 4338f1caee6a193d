"""`crowd HOME MODEL BUCKETS COUNT`: so many clients of their own, each in a thread, submit at once and wait.

Client number n uses bucket n modulo BUCKETS. Prints the jobs as they ended, as one JSON array.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import msgspec
from attack.support.flows import ANA

import livecalc
from livecalc.wire.jobs import Job


def main() -> None:
    home, model, buckets, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    together = Barrier(count)

    def submit(number: int) -> Job:
        with livecalc.connect(home=home, tenant=ANA.tenant_id, user=f"user-{number}") as client:
            together.wait()
            return client.submit(model, bucket=f"bucket-{number % buckets}", partitions=1).wait().job()

    with ThreadPoolExecutor(count) as threads:
        jobs = list(threads.map(submit, range(count)))
    sys.stdout.buffer.write(msgspec.json.encode(jobs))


if __name__ == "__main__":
    main()

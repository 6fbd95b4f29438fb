"""The same queries by what people use today: one process, 64 threads, everything else by default.

peers.py pyathena|boto3 < queries.json     (a list of SQL texts; AWS by the environment)

Each thread takes a query, starts it and asks for its state until it has ended. Results are not
fetched: the stand-in has none. Prints its name and when it began, as JSON, and at its end how many
queries it gave up.
"""

import concurrent.futures
import json
import logging
import sys
import time

THREADS = 64
POLL_S = 1.0  # PyAthena's default
OUTPUT = "s3://results/"


def pyathena_runner():
    """PyAthena with its own retries: 8 attempts in about two minutes."""
    import pyathena

    connection = pyathena.connect(s3_staging_dir=OUTPUT)

    def run(text):
        # What Cursor.execute() does before it fetches.
        cursor = connection.cursor()
        cursor._poll(cursor._execute(text))

    return run, f"PyAthena {pyathena.__version__}"


def boto3_runner():
    """boto3 with retries in adaptive mode: its client slows all threads down when throttled."""
    import boto3
    from botocore.config import Config

    config = Config(retries={"mode": "adaptive"}, max_pool_connections=THREADS)
    client = boto3.client("athena", config=config)

    def run(text):
        started = client.start_query_execution(
            QueryString=text, ResultConfiguration={"OutputLocation": OUTPUT}
        )
        which = {"QueryExecutionId": started["QueryExecutionId"]}
        while True:
            found = client.get_query_execution(**which)["QueryExecution"]["Status"]["State"]
            if found in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return
            time.sleep(POLL_S)

    return run, f"boto3 {boto3.__version__} adaptive"


def main():
    logging.disable(logging.CRITICAL)
    run, name = {"pyathena": pyathena_runner, "boto3": boto3_runner}[sys.argv[1]]()
    texts = json.load(sys.stdin)
    print(json.dumps({"name": name, "began": time.time()}), flush=True)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        done = [pool.submit(run, text) for text in texts]
    failures = [repr(d.exception()) for d in done if d.exception()]
    print(json.dumps({"failed": len(failures), "like": failures[:1]}))


main()

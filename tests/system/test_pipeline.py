"""The whole way: POST → queue → Athena → its end, over the quota, with the sim's ledger as judge."""


def test_burst_over_quota_with_two_executors(pipeline):
    p = pipeline(executors=2, sim_env={"SIM_ACTIVE_DML": 5, "SIM_QUERY_MS": 300})
    ids = [f"q{i}" for i in range(60)]
    for i, query_id in enumerate(ids):
        p.post({"userId": f"u{i % 3}", "queryId": query_id, "query": f"SELECT {i}"})
    p.wait_states([(f"u{i % 3}", q) for i, q in enumerate(ids)], "SUCCEEDED", timeout=60)
    starts = p.sim.ledger()
    assert len(starts) == len(ids)
    assert len({s["token"] for s in starts}) == len(ids)

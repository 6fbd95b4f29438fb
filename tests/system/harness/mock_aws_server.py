"""moto's server, with the one operation of ours that it lacks: mock_aws_server.py PORT.

Signatures and policies are checked by moto before any operation is reached, this one included, once
`POST /moto-api/reset-auth` has said so.
"""

import copy
import json
import sys

from moto.athena.responses import AthenaResponse
from moto.server import main


def batch_get_query_execution(self):
    """Each as moto's own GetQueryExecution answers it."""

    def look_at(query_execution_id):
        one = copy.copy(self)
        one._get_param = lambda *_: query_execution_id
        return json.loads(one.get_query_execution())["QueryExecution"]

    found = [look_at(i) for i in self._get_param("QueryExecutionIds")]
    return json.dumps({"QueryExecutions": found, "UnprocessedQueryExecutionIds": []})


assert not hasattr(AthenaResponse, "batch_get_query_execution"), "moto has it by now"
AthenaResponse.batch_get_query_execution = batch_get_query_execution
main(["-H", "127.0.0.1", "-p", sys.argv[1]])

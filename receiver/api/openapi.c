#include "receiver/api/openapi.h"

/* JSON as it is, turned into a string by the preprocessor; blanks outside strings shrink. */
#define JSON(...) #__VA_ARGS__

/* clang-format off */
const char openapi_json[] = JSON(
{
  "openapi": "3.1.0",
  "info": {
    "title": "athena-query receiver",
    "version": "1.0.0",
    "description": "Takes queries for Amazon Athena into a Kafka topic and tells what became of them. With STAGE set, every path is also served under /STAGE."
  },
  "servers": [{"url": "/"}],
  "security": [{}, {"apiKey": []}],
  "paths": {
    "/athena/query": {
      "post": {
        "operationId": "postQuery",
        "summary": "Puts a query into the queue",
        "description": "202 means that all in-sync replicas have the record. The pair of userId and queryId names a query: it starts at most once, however often it is posted. Any Content-Type is taken.",
        "parameters": [
          {"$ref": "#/components/parameters/traceparent"},
          {"$ref": "#/components/parameters/tracestate"}
        ],
        "requestBody": {
          "required": true,
          "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Query"}}}
        },
        "responses": {
          "202": {
            "description": "Accepted: the query is in the topic",
            "headers": {
              "Location": {
                "description": "Where the query is looked up",
                "schema": {"type": "string", "format": "uri-reference"}
              }
            },
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}},
            "links": {
              "lookUp": {
                "operationId": "lookUpQuery",
                "parameters": {"queryId": "$response.body#/queryId"}
              }
            }
          },
          "400": {"$ref": "#/components/responses/BadRequest"},
          "401": {"$ref": "#/components/responses/Unauthorized"},
          "403": {"$ref": "#/components/responses/Forbidden"},
          "408": {"$ref": "#/components/responses/RequestTimeout"},
          "413": {"$ref": "#/components/responses/TooLarge"},
          "429": {"$ref": "#/components/responses/TooManyRequests"},
          "503": {
            "description": "Not accepted: post the query again with the same queryId, which the problem carries",
            "headers": {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}},
            "content": {
              "application/problem+json": {
                "schema": {
                  "allOf": [{"$ref": "#/components/schemas/Problem"}],
                  "type": "object",
                  "properties": {"queryId": {"type": "string"}},
                  "required": ["queryId"]
                }
              }
            }
          }
        }
      }
    },
    "/athena/query/{queryId}": {
      "parameters": [
        {
          "name": "queryId",
          "in": "path",
          "required": true,
          "description": "Percent-encoded; at most 128 bytes once decoded",
          "schema": {"type": "string", "minLength": 1}
        },
        {
          "name": "userId",
          "in": "query",
          "description": "The userId that the query was posted with. Percent-encoded: a plus is a plus, a blank is %20. Absent and empty are the same.",
          "schema": {"type": "string"}
        }
      ],
      "get": {
        "operationId": "lookUpQuery",
        "summary": "Tells the latest state of a query",
        "responses": {
          "200": {
            "description": "The query is known",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}}
          },
          "400": {"$ref": "#/components/responses/BadRequest"},
          "401": {"$ref": "#/components/responses/Unauthorized"},
          "403": {"$ref": "#/components/responses/Forbidden"},
          "404": {
            "description": "No query of this queryId and userId is known",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
          },
          "429": {"$ref": "#/components/responses/TooManyRequests"},
          "503": {
            "description": "The states are still being read: ask again",
            "headers": {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}},
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
          }
        }
      },
      "head": {
        "operationId": "headQuery",
        "summary": "Like GET, without the body",
        "responses": {
          "200": {"description": "The query is known"},
          "404": {"description": "No query of this queryId and userId is known"}
        }
      }
    },
    "/openapi.json": {
      "get": {
        "operationId": "describe",
        "summary": "This description",
        "security": [{}],
        "responses": {
          "200": {
            "description": "OpenAPI 3.1",
            "content": {"application/json": {"schema": {"type": "object"}}}
          }
        }
      }
    }
  },
  "components": {
    "securitySchemes": {
      "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "Needed where the receiver runs with API_KEYS_FILE"
      }
    },
    "headers": {
      "RetryAfter": {
        "description": "Seconds to wait before asking again",
        "schema": {"type": "integer", "minimum": 1}
      }
    },
    "parameters": {
      "traceparent": {
        "name": "traceparent",
        "in": "header",
        "description": "W3C Trace Context; travels with the record",
        "schema": {"type": "string"}
      },
      "tracestate": {
        "name": "tracestate",
        "in": "header",
        "description": "W3C Trace Context; travels with the record",
        "schema": {"type": "string"}
      }
    },
    "responses": {
      "BadRequest": {
        "description": "The request is not sound; detail says what to mend",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
      },
      "Unauthorized": {
        "description": "The API key is missing or wrong",
        "headers": {"WWW-Authenticate": {"schema": {"type": "string"}}},
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
      },
      "Forbidden": {
        "description": "The API key is shut, or no trusted client certificate was shown",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
      },
      "RequestTimeout": {
        "description": "The request was not whole in time",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
      },
      "TooLarge": {
        "description": "The body is larger than the receiver or Kafka takes",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
      },
      "TooManyRequests": {
        "description": "The API key has used up its requests per second",
        "headers": {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}},
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
      }
    },
    "schemas": {
      "Query": {
        "type": "object",
        "description": "Strict JSON (RFC 8259): no key twice, no NUL, nested to 64 at most. Other members are carried along untouched.",
        "required": ["query"],
        "additionalProperties": true,
        "properties": {
          "query": {
            "type": "string",
            "minLength": 1,
            "description": "SQL, 1 to 262144 bytes of UTF-8"
          },
          "queryId": {
            "type": ["string", "null"],
            "description": "At most 128 bytes; absent, empty or null: the receiver gives a UUID"
          },
          "userId": {
            "type": ["string", "null"],
            "description": "At most 128 bytes; absent, empty and null are the same"
          },
          "database": {"type": ["string", "null"], "minLength": 1, "maxLength": 255},
          "catalog": {"type": ["string", "null"], "minLength": 1, "maxLength": 256},
          "workGroup": {"type": ["string", "null"], "pattern": "^[a-zA-Z0-9._-]{1,128}$"},
          "outputLocation": {"type": ["string", "null"], "pattern": "^s3://"},
          "executionParameters": {
            "type": ["array", "null"],
            "minItems": 1,
            "items": {"type": "string", "minLength": 1, "maxLength": 1024}
          },
          "resultReuseMaxAgeMinutes": {
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": 10080,
            "description": "Athena may answer with the result of the same query where it is no older. Written without fraction or exponent; absent and null: the query runs"
          }
        }
      },
      "Accepted": {
        "type": "object",
        "required": ["queryId", "state", "topic", "partition", "offset"],
        "properties": {
          "queryId": {"type": "string"},
          "state": {"const": "QUEUED"},
          "topic": {"type": "string"},
          "partition": {"type": "integer", "minimum": 0},
          "offset": {"type": "integer", "minimum": 0}
        }
      },
      "Status": {
        "type": "object",
        "required": ["queryId", "userId", "state", "queryExecutionId", "outputLocation", "attempt", "reason", "updatedAt"],
        "properties": {
          "queryId": {"type": "string"},
          "userId": {"type": ["string", "null"]},
          "state": {
            "enum": ["QUEUED", "THROTTLED", "STARTED", "SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"]
          },
          "queryExecutionId": {"type": ["string", "null"]},
          "outputLocation": {"type": ["string", "null"]},
          "attempt": {
            "type": "integer",
            "minimum": 0,
            "description": "How often the query was throttled"
          },
          "reason": {"type": ["string", "null"]},
          "updatedAt": {
            "type": "string",
            "format": "date-time",
            "description": "UTC, with milliseconds"
          }
        }
      },
      "Problem": {
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail"],
        "properties": {
          "type": {"type": "string", "format": "uri-reference"},
          "title": {"type": "string"},
          "status": {"type": "integer"},
          "detail": {"type": "string", "description": "What to mend"}
        }
      }
    }
  }
});
/* clang-format on */

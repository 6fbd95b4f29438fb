//! POST → Kafka with axum and rdkafka: one record a query, keyed by its userId, acknowledged by all
//! in-sync replicas before the 202. It writes no QUEUED and keeps no view.
//!
//! axum-peer ADDRESS BOOTSTRAP-SERVERS TOPIC

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    user_id: String,
    query_id: String,
    query: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    query_id: String,
    state: &'static str,
    partition: i32,
    offset: i64,
}

struct Queue {
    producer: FutureProducer,
    topic: String,
}

async fn accept(State(queue): State<Arc<Queue>>, body: Bytes) -> Response {
    let query: Query = match serde_json::from_slice(&body) {
        Ok(query) => query,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    if query.query.is_empty() {
        return (StatusCode::BAD_REQUEST, "query is empty").into_response();
    }
    let record = FutureRecord::to(&queue.topic).key(&query.user_id).payload(body.as_ref());
    match queue.producer.send(record, Duration::ZERO).await {
        Ok((partition, offset)) => {
            let accepted =
                Accepted { query_id: query.query_id, state: "QUEUED", partition, offset };
            (StatusCode::ACCEPTED, Json(accepted)).into_response()
        }
        Err((error, _)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, address, bootstrap, topic] = args.as_slice() else {
        eprintln!("axum-peer ADDRESS BOOTSTRAP-SERVERS TOPIC");
        std::process::exit(100);
    };
    let producer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "1")
        .set("partitioner", "murmur2_random")
        .create()
        .expect("a producer");
    let queue = Arc::new(Queue { producer, topic: topic.clone() });
    let app = Router::new().route("/athena/query", post(accept)).with_state(queue);
    let listener = tokio::net::TcpListener::bind(address).await.expect("the address");
    axum::serve(listener, app).await.expect("to serve");
}

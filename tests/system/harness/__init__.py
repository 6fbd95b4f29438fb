"""What the system tests are written with: a real Kafka, the programs, and looks into both."""

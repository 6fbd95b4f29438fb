/*
 * Athena counts two quotas of active queries: DML and DDL (Service Quotas of Athena). Which of them
 * a statement takes follows from its first keyword (pure).
 */
#ifndef EXECUTOR_TURN_LANE_H
#define EXECUTOR_TURN_LANE_H

#include <stddef.h>

enum lane {
    LANE_DML,
    LANE_DDL,
    LANES
};

const char *lane_name(enum lane lane); /* "dml", "ddl" */

/*
 * DML: SELECT, WITH, INSERT, UPDATE, DELETE, MERGE, UNLOAD, CREATE TABLE … AS, VACUUM, OPTIMIZE,
 * EXPLAIN, EXECUTE and all else; DDL: the other CREATEs, ALTER, DROP, MSCK, SHOW, DESCRIBE,
 * PREPARE, DEALLOCATE. Comments, white space and opening parentheses before it are skipped.
 */
enum lane lane_of(const char *sql, size_t n);

#endif

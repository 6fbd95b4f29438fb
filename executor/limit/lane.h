/*
 * Athena has two quotas of active queries, one for DML and one for DDL statements (Service Quotas
 * of Athena). A lane is one of them; which one a statement counts against follows from its first
 * keyword (pure).
 */
#ifndef EXECUTOR_LIMIT_LANE_H
#define EXECUTOR_LIMIT_LANE_H

#include <stddef.h>

enum lane {
    LANE_DML,
    LANE_DDL,
    LANES
};

const char *lane_name(enum lane lane); /* "dml", "ddl" */

/*
 * DDL: CREATE but for CREATE TABLE … AS, ALTER, DROP, MSCK, SHOW, DESCRIBE, PREPARE, DEALLOCATE.
 * DML: everything else. Comments, white space, semicolons and opening parentheses before the first
 * keyword are skipped. A wrong guess costs a throttled start, never a query.
 */
enum lane lane_of(const char *sql, size_t n);

#endif

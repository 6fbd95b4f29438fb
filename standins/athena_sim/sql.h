/*
 * What the stand-in reads out of a query's text (pure): which quota it counts against, and what
 * its author wants it to become.
 *
 * Lanes as in https://docs.aws.amazon.com/athena/latest/ug/service-limits.html: CREATE, ALTER,
 * DROP, MSCK, SHOW, DESCRIBE are DDL; CREATE TABLE … AS SELECT is DML like all the others.
 *
 * A hint is a comment anywhere outside of quotes, the first one counts:
 *     / * sim: ms=500 state=FAILED reason=Out of luck * /     (without the blanks in the marks)
 *     / * sim: code=AccessDeniedException reason=Not yours * /
 * `ms` is how long the query runs, `state` how it ends (SUCCEEDED, FAILED, CANCELLED), `code`
 * refuses its start with that error, and `reason`, which must be the last, goes to the end.
 */
#ifndef STANDINS_ATHENA_SIM_SQL_H
#define STANDINS_ATHENA_SIM_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_lane {
    SIM_DML,
    SIM_DDL,
    SIM_LANES
};
enum sim_end {
    SIM_SUCCEEDED,
    SIM_FAILED,
    SIM_CANCELLED,
    SIM_ENDS
};

struct sim_sql {
    enum sim_lane lane;
    const char *statement_type; /* "DML", "DDL" or "UTILITY" */
    int64_t run_ms;             /* -1: not said */
    enum sim_end end;
    char code[64];    /* empty: none */
    char reason[256]; /* empty: none */
};

/*
 * False where Athena would find a syntax error (the first word is none that it knows) or the hint
 * makes no sense; `detail` then holds Athena's sort of message.
 */
bool sim_sql_read(const char *text, struct sim_sql *out, char *detail, size_t detail_size);

#endif

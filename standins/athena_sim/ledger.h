/*
 * The ledger: a file with one JSON line for each query that was really started, by which tests
 * know that none started twice:
 *     {"token":"…","id":"…","sha256":"<of the SQL, hex>","t":<seconds since the epoch>}
 * and, where it will not succeed, how it ends: "end":"FAILED" or "CANCELLED".
 *
 * Like Athena, the stand-in does not forget tokens when it is started anew on the same ledger.
 */
#ifndef STANDINS_ATHENA_SIM_LEDGER_H
#define STANDINS_ATHENA_SIM_LEDGER_H

#include <stdbool.h>

#include "standins/athena_sim/state.h"

/*
 * Opens it to append, and remembers what is in it. A line that cannot be read is logged and
 * passed over; half a line at the end is completed by a newline. -1: errno says why.
 */
int sim_ledger_open(const char *path, struct sim_state *state);

/* The line is in the file when this returns true. `fd` -1: there is no ledger, and that is fine. */
bool sim_ledger_write(int fd, const struct sim_query *q);

#endif

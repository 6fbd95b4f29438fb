/*
 * The fleet at its edge: the quota topic is read and written, the machine of fleet.h is driven, and
 * what it decides reaches the admission of both lanes. Without the topic each executor learns
 * alone.
 */
#ifndef EXECUTOR_LIMIT_FLEET_LINK_H
#define EXECUTOR_LIMIT_FLEET_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct executor;
struct probing;
struct fleet_link;

/* NULL: see `error`. */
struct fleet_link *fleet_link_open(struct executor *x, char *error, size_t error_size);
/* Begins, if the topic is there. */
void fleet_link_start(struct fleet_link *l);
/* Tells the others that it goes. */
void fleet_link_leave(struct fleet_link *l);
void fleet_link_close(struct fleet_link *l); /* takes NULL */

/* Something that counts has changed: shares are looked at, and told of. */
void fleet_link_step(struct fleet_link *l);
/* A complete look at all that runs here begins; it has ended. */
void fleet_link_sweep_begins(struct fleet_link *l);
void fleet_link_swept(struct fleet_link *l);

/* What may run, by the fleet's leader where there is one. */
int fleet_link_limit(const struct fleet_link *l, int lane);
bool fleet_link_leads(const struct fleet_link *l);
/* What this executor learns with, alone or as the leader; NULL: another one learns for it. */
const struct probing *fleet_link_learns(const struct fleet_link *l, int lane);

#endif

/*
 * The slot of the quota that a query holds while it is being started, runs, or perhaps runs. Only
 * here does a job change what it holds of its lane's admission, so that each slot is given back
 * once.
 */
#ifndef EXECUTOR_LIMIT_SLOT_H
#define EXECUTOR_LIMIT_SLOT_H

#include <stdbool.h>

struct executor;
struct job;

/*
 * False: there is no room now. With TRACK_QUERIES=off always true, and nothing is held: nobody sees
 * an end, so there is only the pace.
 */
bool slot_take(struct executor *x, struct job *job);
/* Slots that are taken in all lanes: what MAX_RUNNING bounds. */
int slot_count(const struct executor *x);
/* Its call started the query, or has told now that it runs. */
void slot_started(struct executor *x, struct job *job);
/* Its call was refused for the quota: nothing is held any more. */
void slot_throttled(struct executor *x, struct job *job);
/* It runs, or perhaps runs, whatever its call said. */
void slot_hold(struct executor *x, struct job *job);
/* It does not run, or nobody follows it any more. Nothing happens where nothing is held. */
void slot_release(struct executor *x, struct job *job);

#endif

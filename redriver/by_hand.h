/*
 * What the redriver prints when it is used by hand: JSON, one object a line (pure).
 */
#ifndef REDRIVER_BY_HAND_H
#define REDRIVER_BY_HAND_H

#include <stdint.h>

#include "common/base/buffer.h"
#include "redriver/letter.h"
#include "redriver/pass.h"

/*
 * {"partition","offset","userId","queryId","attempt","ageMs","error"}: userId and error are null
 * where there is none, ageMs where the record has no timestamp. Parses the letter.
 */
void by_hand_letter(struct letter *l, int64_t now_ms, struct buffer *out);
/* {"moved","skipped","left"}, and "elsewhere" unless that is negative. */
void by_hand_summary(const struct pass_result *result, int64_t elsewhere, struct buffer *out);

#endif

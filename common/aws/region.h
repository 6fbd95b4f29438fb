/*
 * Where AWS is: the region, and the endpoints of its services.
 *
 * The region: AWS_REGION, AWS_DEFAULT_REGION, the profile's `region`, the instance's own (IMDS,
 * where there is no endpoint of our own, and in the background); else us-east-1 where there is an
 * endpoint of our own, as its signatures need some region.
 *
 * An endpoint: AWS_ENDPOINT_URL_<service>, AWS_ENDPOINT_URL, the profile's for the service
 * (`services`), the profile's `endpoint_url`, AWS's own in the region.
 */
#ifndef COMMON_AWS_REGION_H
#define COMMON_AWS_REGION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/aws/endpoint.h"
#include "common/aws/options.h"
#include "common/aws/profile.h"
#include "common/base/http/client.h"
#include "common/base/loop.h"

struct aws_place;

/*
 * All borrowed, and must outlive it. `loop` and `http` may be NULL: no IMDS then. Reads the files
 * of the SDKs, again where they could not be read or had no region, once a second at most.
 */
struct aws_place *aws_place_open(struct loop *loop, struct http_client *http,
                                 const struct aws_options *options);
void aws_place_close(struct aws_place *p); /* NULL is fine */

/* Somebody has read the files. */
void aws_place_learn(struct aws_place *p, const struct profiles *files);

/* Borrowed until the next call; NULL: not known (yet), `*why` says why. */
const char *aws_place_region(struct aws_place *p, const char **why);

bool aws_place_is_asking(const struct aws_place *p); /* the instance, for the region */

/*
 * Of a service: `own_url` the value of AWS_ENDPOINT_URL_<service>, `id` its name in the config file
 * ("athena"), `host_prefix` that in AWS's own host names. Fills `endpoint`, to be freed, and
 * `*region`, borrowed; false: `detail` says why.
 */
bool aws_place_service(struct aws_place *p, const char *own_url, const char *id,
                       const char *host_prefix, struct aws_endpoint *endpoint, const char **region,
                       char *detail, size_t detail_size);
/* STS; where no region is known, the global one, as in the SDKs. */
bool aws_place_sts(struct aws_place *p, struct aws_endpoint *endpoint, const char **region,
                   char *detail, size_t detail_size);

#endif

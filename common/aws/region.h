/*
 * The region, and the endpoints of AWS's services in it.
 *
 * The region is the first of: AWS_REGION; AWS_DEFAULT_REGION; `region` of the profile; us-east-1
 * where an endpoint of one's own is set (signatures need some region); the instance's, asked of its
 * metadata service in the background.
 *
 * The endpoint of a service is the first of: AWS_ENDPOINT_URL_<service>; AWS_ENDPOINT_URL; the one
 * for the service in the profile's `services` section; the profile's `endpoint_url`; AWS's own.
 *
 * All of this belongs to the thread of the loop.
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

struct aws_region;

/*
 * `options` is borrowed and must outlive it, so must `loop` and `http`; without these two (NULL)
 * the instance is not asked. Reads the shared files now, and later again, once a second at most,
 * while they cannot be read or have no region.
 */
struct aws_region *aws_region_open(struct loop *loop, struct http_client *http,
                                   const struct aws_options *options);
void aws_region_close(struct aws_region *r); /* takes NULL */

/* Takes over what the profile says in files that somebody else has just read. */
void aws_region_learn(struct aws_region *r, const struct profiles *files);

/*
 * The region's name, borrowed until the next call. NULL: it is not known (yet), and `*why` gives
 * the reason, borrowed as long; asking the instance has begun then.
 */
const char *aws_region_name(struct aws_region *r, const char **why);

bool aws_region_is_pending(const struct aws_region *r); /* the instance is being asked */

/*
 * The endpoint of a service. `own_url` is the value of AWS_ENDPOINT_URL_<service> or NULL, `id` the
 * service's name in the config file ("athena"), `host_prefix` the one in AWS's host names. Fills
 * `endpoint`, which the caller frees, and `*name`, the region to sign for, borrowed as from
 * aws_region_name(). On false `detail` says why there is none.
 */
bool aws_region_service_endpoint(struct aws_region *r, const char *own_url, const char *id,
                                 const char *host_prefix, struct aws_endpoint *endpoint,
                                 const char **name, char *detail, size_t detail_size);
/* The endpoint of STS: the global one where no region is known, as in the SDKs. */
bool aws_region_sts_endpoint(struct aws_region *r, struct aws_endpoint *endpoint, const char **name,
                             char *detail, size_t detail_size);

#endif

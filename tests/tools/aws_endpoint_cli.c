/*
 * Prints endpoints of AWS, so that a test can compare common/aws/endpoint.h with another client.
 *
 * Reads lines of a host prefix, a region, 0 or 1 for FIPS, and 0 or 1 for dual-stack; writes the
 * URL for each. Exit status 100: a line could not be read.
 */
#include <stdio.h>

#include "common/aws/endpoint.h"

int main(void) {
    char prefix[64], region[64];
    unsigned fips, dual_stack;
    int read;
    while ((read = scanf("%63s %63s %1u %1u", prefix, region, &fips, &dual_stack)) == 4) {
        struct aws_endpoint e;
        aws_endpoint_of_region(prefix, region,
                               (fips != 0 ? AWS_ENDPOINT_FIPS : 0u) |
                                   (dual_stack != 0 ? AWS_ENDPOINT_DUAL_STACK : 0u),
                               &e);
        puts(e.url);
        aws_endpoint_free(&e);
    }
    return read == EOF ? 0 : 100;
}

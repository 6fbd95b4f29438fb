#include "common/base/http/framing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Headers: name and value. */
struct framing_case {
    const char *headers[4][2];
    bool http_1_0;
    bool sound;
    bool has_body;
    uint64_t length;
};

static void test_framing(void **state) {
    (void)state;
    static const struct framing_case cases[] = {
        {{{"Host", "x"}}, false, true, false, 0},
        {{{"Host", ""}}, false, true, false, 0},
        {{{NULL, NULL}}, true, true, false, 0},
        {{{NULL, NULL}}, false, false, false, 0},
        {{{"Host", "x"}, {"host", "x"}}, false, false, false, 0},
        {{{"Host", "x"}, {"Host", "x"}}, true, false, false, 0},
        {{{"Host", "x"}, {"Content-Length", "0"}}, false, true, false, 0},
        {{{"Host", "x"}, {"content-LENGTH", " 17\t"}}, false, true, true, 17},
        {{{"Host", "x"}, {"Content-Length", "999999999999999999"}},
         false,
         true,
         true,
         999999999999999999U},
        {{{"Host", "x"}, {"Content-Length", "1000000000000000000"}}, false, false, false, 0},
        {{{"Host", "x"}, {"Content-Length", ""}}, false, false, false, 0},
        {{{"Host", "x"}, {"Content-Length", "+1"}}, false, false, false, 0},
        {{{"Host", "x"}, {"Content-Length", "1 1"}}, false, false, false, 0},
        {{{"Host", "x"}, {"Content-Length", "1,1"}}, false, false, false, 0},
        {{{"Host", "x"}, {"Content-Length", "1"}, {"Content-Length", "1"}}, false, false, false, 0},
        {{{"Host", "x"}, {"Content-Length ", "1"}}, false, false, false, 0},
        {{{"Host", "x"}, {"Transfer-Encoding", "chunked"}}, false, true, true, 0},
        {{{"Host", "x"}, {"TRANSFER-encoding", "\tChunked "}}, false, true, true, 0},
        {{{"Host", "x"}, {"Transfer-Encoding\t", "chunked"}}, false, false, false, 0},
        {{{"Host", "x"}, {"Transfer-Encoding", "chunked"}}, true, false, false, 0},
        {{{"Host", "x"}, {"Transfer-Encoding", "identity"}}, false, false, false, 0},
        {{{"Host", "x"}, {"Transfer-Encoding", "gzip, chunked"}}, false, false, false, 0},
        {{{"Host", "x"}, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}},
         false,
         false,
         false,
         0},
        {{{"Host", "x"}, {"Transfer-Encoding", "chunked"}, {"Content-Length", "1"}},
         false,
         false,
         false,
         0},
        {{{"Host", "x"}, {" Content-Length", "1"}, {"Transfer-Encoding", "chunked"}},
         false,
         false,
         false,
         0},
        {{{"Host", "x"}, {"", "1"}}, false, false, false, 0},
        {{{"Host", "x"}, {"X y", "1"}}, false, false, false, 0},
        {{{"Host", "x"}, {"X!#$%&'*+-.^_`|~9", "any (thing)"}}, false, true, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct framing_case *c = &cases[i];
        struct framing f;
        framing_begin(&f);
        for (size_t h = 0; h < 4 && c->headers[h][0] != NULL; h++)
            framing_header(&f, c->headers[h][0], strlen(c->headers[h][0]), c->headers[h][1],
                           strlen(c->headers[h][1]));
        const char *fault = framing_fault(&f, c->http_1_0);
        if ((fault == NULL) != c->sound)
            fail_msg("case %zu: %s", i, fault != NULL ? fault : "taken");
        if (c->sound) {
            assert_int_equal(framing_has_body(&f), c->has_body);
            assert_int_equal(f.length, c->length);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_framing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

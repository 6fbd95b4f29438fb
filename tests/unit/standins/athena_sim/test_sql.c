#include "standins/athena_sim/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_lanes(void **state) {
    (void)state;
    static const struct {
        const char *text, *type;
        enum sim_lane lane;
    } cases[] = {
        {"SELECT 1", "DML", SIM_DML},
        {"select 1", "DML", SIM_DML},
        {"SELECT", "DML", SIM_DML},
        {"  \n\t( (SELECT 1))", "DML", SIM_DML},
        {"-- CREATE\nSELECT 1", "DML", SIM_DML},
        {"/* DROP */ /**/ SELECT 1", "DML", SIM_DML},
        {"WITH a AS (SELECT 1) SELECT * FROM a", "DML", SIM_DML},
        {"INSERT INTO t SELECT 1", "DML", SIM_DML},
        {"VALUES 1", "DML", SIM_DML},
        {"UNLOAD (SELECT 1) TO 's3://b/'", "DML", SIM_DML},
        {"EXPLAIN SELECT 1", "UTILITY", SIM_DML},
        {"CREATE TABLE t AS SELECT 1", "DML", SIM_DML},
        {"create table if not exists t with (format = 'ORC') as with a as (select 1) select 1",
         "DML", SIM_DML},
        {"CREATE TABLE t AS (SELECT 1)", "DML", SIM_DML},
        {"CREATE TABLE \"as select\" -- x\n AS /* y */ SELECT 1", "DML", SIM_DML},
        {"CREATE TABLE t (a int) LOCATION 's3://b/'", "DDL", SIM_DDL},
        {"CREATE TABLE t (a int COMMENT 'AS SELECT')", "DDL", SIM_DDL},
        {"CREATE TABLE t (as select)", "DDL", SIM_DDL},
        {"CREATE EXTERNAL TABLE t (a int)", "DDL", SIM_DDL},
        {"CREATE VIEW v AS SELECT 1", "DDL", SIM_DDL},
        {"CREATE OR REPLACE VIEW v AS SELECT 1", "DDL", SIM_DDL},
        {"CREATE", "DDL", SIM_DDL},
        {"ALTER TABLE t ADD PARTITION (a=1)", "DDL", SIM_DDL},
        {"DROP TABLE t", "DDL", SIM_DDL},
        {"MSCK REPAIR TABLE t", "DDL", SIM_DDL},
        {"SHOW TABLES", "UTILITY", SIM_DDL},
        {"DESCRIBE t", "UTILITY", SIM_DDL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_sql sql;
        char detail[256] = "";
        if (!sim_sql_read(cases[i].text, &sql, detail, sizeof detail))
            fail_msg("%s: %s", cases[i].text, detail);
        if (sql.lane != cases[i].lane || strcmp(sql.statement_type, cases[i].type) != 0)
            fail_msg("%s: lane %d, %s", cases[i].text, sql.lane, sql.statement_type);
        assert_int_equal(sql.run_ms, -1);
        assert_int_equal(sql.end, SIM_SUCCEEDED);
        assert_string_equal(sql.code, "");
        assert_string_equal(sql.reason, "");
    }
}

static void test_syntax_errors(void **state) {
    (void)state;
    static const struct {
        const char *text, *detail;
    } cases[] = {
        {"BROKEN", "mismatched input 'BROKEN'"},
        {"BROKEN SELECT 1", "mismatched input 'BROKEN'"},
        {"SELECTED 1", "mismatched input 'SELECTED'"},
        {"'SELECT'", "mismatched input ''SELECT''"},
        {" ", "mismatched input '<EOF>'"},
        {"-- SELECT 1", "mismatched input '<EOF>'"},
        {"/* SELECT 1", "mismatched input '<EOF>'"},
        {"((", "mismatched input '<EOF>'"},
        {"; SELECT 1", "mismatched input ';'"},
        {"SELECT 1 /* sim: ms=x */", "cannot read the hint"},
        {"SELECT 1 /* sim: ms=-1 */", "cannot read the hint"},
        {"SELECT 1 /* sim: ms= */", "cannot read the hint"},
        {"SELECT 1 /* sim: ms=99999999999999999999 */", "cannot read the hint"},
        {"SELECT 1 /* sim: state=DONE */", "cannot read the hint"},
        {"SELECT 1 /* sim: code= */", "cannot read the hint"},
        {"SELECT 1 /* sim: colour=red */", "cannot read the hint"},
        {"SELECT 1 /* sim: ms */", "cannot read the hint"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_sql sql;
        char detail[256] = "";
        if (sim_sql_read(cases[i].text, &sql, detail, sizeof detail) ||
            strstr(detail, cases[i].detail) == NULL)
            fail_msg("%s: \"%s\"", cases[i].text, detail);
    }
}

static void test_hints(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t run_ms;
        enum sim_end end;
        const char *code, *reason;
    } cases[] = {
        {"SELECT 1 /* sim: ms=500 */", 500, SIM_SUCCEEDED, "", ""},
        {"/* sim: ms=0 */ SELECT 1", 0, SIM_SUCCEEDED, "", ""},
        {"/*sim:ms=7*/SELECT 1", 7, SIM_SUCCEEDED, "", ""},
        {"/* sim: ms=500 state=FAILED reason=out of = luck */ SELECT 1", 500, SIM_FAILED, "",
         "out of = luck"},
        {"SELECT /* sim: state=CANCELLED */ 1", -1, SIM_CANCELLED, "", ""},
        {"SELECT 1 /* sim: state=SUCCEEDED */", -1, SIM_SUCCEEDED, "", ""},
        {"SELECT 1 /* x */ /* sim: ms=1 */ /* sim: ms=2 */", 1, SIM_SUCCEEDED, "", ""},
        {"SELECT '/* sim: ms=1 */'", -1, SIM_SUCCEEDED, "", ""},
        {"SELECT '''' /* sim: ms=1 */", 1, SIM_SUCCEEDED, "", ""},
        {"-- /* sim: ms=1 */\nSELECT 1", -1, SIM_SUCCEEDED, "", ""},
        {"SELECT 1 /* sim: code=AccessDeniedException reason=not yours */", -1, SIM_SUCCEEDED,
         "AccessDeniedException", "not yours"},
        {"SELECT 1 /* sim: */", -1, SIM_SUCCEEDED, "", ""},
        {"SELECT 1 /* simulate */", -1, SIM_SUCCEEDED, "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_sql sql;
        char detail[256] = "";
        if (!sim_sql_read(cases[i].text, &sql, detail, sizeof detail))
            fail_msg("%s: %s", cases[i].text, detail);
        if (sql.run_ms != cases[i].run_ms || sql.end != cases[i].end ||
            strcmp(sql.code, cases[i].code) != 0 || strcmp(sql.reason, cases[i].reason) != 0)
            fail_msg("%s: ms %lld, end %d, code '%s', reason '%s'", cases[i].text,
                     (long long)sql.run_ms, sql.end, sql.code, sql.reason);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lanes),
                                       cmocka_unit_test(test_syntax_errors),
                                       cmocka_unit_test(test_hints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which quota a statement takes: Athena's statements, and what may stand before and in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "executor/limit/lane.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct lane_case {
    enum lane want;
    const char *sql;
};

static const struct lane_case statements[] = {
    {LANE_DML, "SELECT 1"},
    {LANE_DML, "select 1"},
    {LANE_DML, "SeLeCt 1"},
    {LANE_DML, "SELECT*FROM t"},
    {LANE_DML, "SELECT"},
    {LANE_DML, "WITH a AS (SELECT 1) SELECT * FROM a"},
    {LANE_DML, "INSERT INTO t SELECT * FROM u"},
    {LANE_DML, "INSERT INTO t VALUES (1)"},
    {LANE_DML, "UPDATE t SET a = 1"},
    {LANE_DML, "DELETE FROM t"},
    {LANE_DML, "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE"},
    {LANE_DML, "UNLOAD (SELECT 1) TO 's3://b/p' WITH (format = 'PARQUET')"},
    {LANE_DML, "VALUES 1, 2"},
    {LANE_DML, "TABLE t"},
    {LANE_DML, "VACUUM t"},
    {LANE_DML, "OPTIMIZE t REWRITE DATA USING BIN_PACK"},
    {LANE_DML, "EXPLAIN SELECT 1"},
    {LANE_DML, "EXPLAIN ANALYZE SELECT 1"},
    {LANE_DML, "EXECUTE s USING 1"},
    {LANE_DML, "USING EXTERNAL FUNCTION f(a INT) RETURNS INT LAMBDA 'l' SELECT f(1)"},
    {LANE_DDL, "ALTER TABLE t ADD PARTITION (d = '1')"},
    {LANE_DDL, "alter database d set dbproperties ('a' = 'b')"},
    {LANE_DDL, "DROP TABLE IF EXISTS t"},
    {LANE_DDL, "drop view v"},
    {LANE_DDL, "MSCK REPAIR TABLE t"},
    {LANE_DDL, "SHOW TABLES"},
    {LANE_DDL, "show create table t"},
    {LANE_DDL, "DESCRIBE t"},
    {LANE_DDL, "DESCRIBE EXTENDED t"},
    {LANE_DDL, "DESC t"},
    {LANE_DDL, "PREPARE s FROM SELECT ? FROM t"},
    {LANE_DDL, "DEALLOCATE PREPARE s"},
    {LANE_DDL, "CREATE DATABASE d"},
    {LANE_DDL, "CREATE SCHEMA IF NOT EXISTS d"},
    {LANE_DDL, "CREATE VIEW v AS SELECT 1"},
    {LANE_DDL, "CREATE OR REPLACE VIEW v AS SELECT 1"},
    {LANE_DDL, "CREATE PROTECTED MULTI DIALECT VIEW v SECURITY DEFINER AS SELECT 1"},
    {LANE_DDL, "CREATE EXTERNAL TABLE t (a int) STORED AS PARQUET LOCATION 's3://b/p'"},
    {LANE_DDL, "create database d"},
    {LANE_DDL, "Create Table t (a int)"},
    {LANE_DDL, "CREATE"},
    {LANE_DDL, "CREATE TABLE"},
    {LANE_DDL, "CREATE TABLE t"},
};

static const struct lane_case ctas[] = {
    {LANE_DML, "CREATE TABLE t AS SELECT 1"},
    {LANE_DML, "create table t as select 1"},
    {LANE_DML, "CREATE TABLE IF NOT EXISTS d.t AS SELECT 1"},
    {LANE_DML, "CREATE TABLE t AS WITH a AS (SELECT 1) SELECT * FROM a"},
    {LANE_DML, "CREATE TABLE t AS (SELECT 1)"},
    {LANE_DML, "CREATE TABLE t AS(SELECT 1)"},
    {LANE_DML, "CREATE TABLE t AS TABLE u"},
    {LANE_DML, "CREATE TABLE x WITH (format = 'ORC', partitioned_by = ARRAY['a']) AS SELECT 1"},
    {LANE_DML, "CREATE TABLE x WITH (a = (1 + (2))) AS SELECT 1"},
    {LANE_DML, "CREATE TABLE x (a, b) AS SELECT 1, 2"},
    {LANE_DML, "CREATE TABLE x\n(a, b)\nAS\nSELECT 1, 2"},
    {LANE_DML, "CREATE TABLE \"x\"AS SELECT 1"},
    {LANE_DML, "CREATE TABLE \"a \"\" as \"AS SELECT 1"},
    {LANE_DML, "CREATE TABLE `x` COMMENT 'it''s' AS SELECT 1"},
    {LANE_DML, "CREATE TABLE x COMMENT ')' AS SELECT 1"},
    {LANE_DML, "CREATE TABLE x /* ( */ AS SELECT 1"},
    {LANE_DML, "CREATE TABLE x -- (\nAS SELECT 1"},
    {LANE_DML, "CREATE/**/TABLE/**/x/**/AS/**/SELECT 1"},
    {LANE_DML, "CREATE -- TABLE\nTABLE x AS SELECT 1"},
    {LANE_DML, "CREATE TABLE a_very_long_name_of_a_table_that_is_cut AS SELECT 1"},
    {LANE_DDL, "CREATE TABLE t (a int, b string) LOCATION 's3://b/p'"},
    {LANE_DDL, "CREATE TABLE t (as int)"},
    {LANE_DDL, "CREATE TABLE t (a struct<as: int>, b decimal(1, 2), as int)"},
    {LANE_DDL, "CREATE TABLE \"as\" (a int)"},
    {LANE_DDL, "CREATE TABLE \"x as y\" (a int)"},
    {LANE_DDL, "CREATE TABLE `x as y` (a int)"},
    {LANE_DDL, "CREATE TABLE \"x \"\" as \"\" y\" (a int)"},
    {LANE_DDL, "CREATE TABLE t (a int) COMMENT 'known as t'"},
    {LANE_DDL, "CREATE TABLE t (a int) COMMENT 'known as ''as'' as'"},
    {LANE_DDL, "CREATE TABLE t (a int COMMENT ') AS SELECT') LOCATION 's3://b/p'"},
    {LANE_DDL, "CREATE TABLE t (a int) /* AS SELECT */ LOCATION 's3://b/p'"},
    {LANE_DDL, "CREATE TABLE t (a int) /*/ AS SELECT */ LOCATION 's3://b/p'"},
    {LANE_DDL, "CREATE TABLE t (a int) -- AS SELECT\nLOCATION 's3://b/p'"},
    {LANE_DDL, "CREATE TABLE t (a int) STORED AS PARQUET"},
    {LANE_DDL, "CREATE TABLE t (a int) stored as parquet"},
    {LANE_DDL, "CREATE TABLE as_of (a int)"},
    {LANE_DDL, "CREATE TABLE has (a int)"},
    {LANE_DDL, "CREATE TABLE t1as (a int)"},
    {LANE_DDL, "CREATE TABLES AS SELECT 1"},
    {LANE_DDL, "CREATE TABLE t COMMENT 'open AS SELECT 1"},
    {LANE_DDL, "CREATE TABLE t /* open AS SELECT 1"},
    {LANE_DDL, "CREATE TABLE t -- AS SELECT 1"},
};

static const struct lane_case before[] = {
    {LANE_DML, ""},
    {LANE_DML, " "},
    {LANE_DML, "1"},
    {LANE_DML, "'SHOW'"},
    {LANE_DML, "\xc3\xa9"},
    {LANE_DML, "SHOWING TABLES"},
    {LANE_DML, "SHOW_TABLES"},
    {LANE_DML, "CREATED TABLE t"},
    {LANE_DML, "DESCRIBE_AND_MORE_THAN_FITS t"},
    {LANE_DDL, " \t\r\n\f\vSHOW TABLES"},
    {LANE_DDL, "((SHOW TABLES"},
    {LANE_DML, "((CREATE TABLE t AS SELECT 1"},
    {LANE_DML, "(SELECT 1) UNION (SELECT 2)"},
    {LANE_DDL, ";SHOW TABLES"},
    {LANE_DDL, "SHOW;"},
    {LANE_DDL, "-- SELECT\nSHOW TABLES"},
    {LANE_DDL, "--\nSHOW TABLES"},
    {LANE_DDL, "-- SELECT\r\n-- again\r\n SHOW TABLES"},
    {LANE_DDL, "/* SELECT */SHOW TABLES"},
    {LANE_DDL, "/* SELECT\n * FROM */ SHOW TABLES"},
    {LANE_DDL, "/**/SHOW TABLES"},
    {LANE_DDL, "/***/SHOW TABLES"},
    {LANE_DDL, "/*/ SELECT */SHOW TABLES"},
    {LANE_DDL, "/* -- */SHOW TABLES"},
    {LANE_DDL, "-- /*\nSHOW TABLES"},
    {LANE_DDL, "/* a */ -- b\n ( /* c */ SHOW TABLES"},
    {LANE_DML, "/* SHOW */ SELECT 1 -- SHOW"},
    {LANE_DML, "/* open SHOW TABLES"},
    {LANE_DML, "/*"},
    {LANE_DML, "/*/"},
    {LANE_DML, "/*/SHOW TABLES"},
    {LANE_DML, "--"},
    {LANE_DML, "-- open SHOW TABLES"},
    {LANE_DML, "- SHOW"},
    {LANE_DML, "/ SHOW"},
};

/* In a block of its own size, not terminated: what is read behind it is seen by ASan. */
static void check(const struct lane_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(cases[i].sql);
        char *sql = mem_alloc(n + 1);
        char *exact = n > 0 ? realloc(sql, n) : sql;
        assert_non_null(exact);
        memcpy(exact, cases[i].sql, n);
        enum lane lane = lane_of(exact, n);
        free(exact);
        if (lane != cases[i].want)
            fail_msg("%s: %s", cases[i].sql, lane_name(lane));
    }
}

static void test_statements(void **state) {
    (void)state;
    check(statements, COUNT(statements));
}

static void test_create_table_as(void **state) {
    (void)state;
    check(ctas, COUNT(ctas));
}

static void test_what_stands_before(void **state) {
    (void)state;
    check(before, COUNT(before));
}

/* The length counts, not a NUL; every cut of every statement is looked at within its bounds. */
static void test_cuts(void **state) {
    (void)state;
    assert_int_equal(lane_of("SHOW TABLES", 3), LANE_DML);
    assert_int_equal(lane_of("SHOW TABLES", 4), LANE_DDL);
    assert_int_equal(lane_of("CREATE TABLE t AS", 15), LANE_DDL);
    assert_int_equal(lane_of("CREATE TABLE t AS", 17), LANE_DML);
    for (size_t i = 0; i < COUNT(ctas); i++)
        for (size_t n = 0; n <= strlen(ctas[i].sql); n++) {
            char *cut = mem_alloc(n > 0 ? n : 1);
            memcpy(cut, ctas[i].sql, n);
            enum lane lane = lane_of(cut, n);
            free(cut);
            assert_true(n < strlen("CREATE") ? lane == LANE_DML : lane < LANES);
        }
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(lane_name(LANE_DML), "dml");
    assert_string_equal(lane_name(LANE_DDL), "ddl");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_create_table_as),
        cmocka_unit_test(test_what_stands_before),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "libs/store/testing/schema_text.h"

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::store {
namespace {

constexpr char kHeading[] =
    "-- The schema as libs/store/migrations makes it, to read: `gannet migrate` makes a database.\n"
    "-- Written by GANNET_UPDATE_SCHEMA=1 ./run test -R store_pg_schema_test; without the "
    "variable\n"
    "-- that test compares. The comments are those of A__describe_tables.sql.\n";

constexpr char kTypes[] = R"sql(
SELECT text FROM (
SELECT format('CREATE TYPE gannet.%I AS ENUM (%s);', t.typname,
              (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                 FROM pg_enum e WHERE e.enumtypid = t.oid)) AS text
  FROM pg_type t WHERE t.typnamespace = 'gannet'::regnamespace AND t.typtype = 'e'
UNION ALL
SELECT format('CREATE SEQUENCE gannet.%I;', c.relname)
  FROM pg_class c WHERE c.relnamespace = 'gannet'::regnamespace AND c.relkind = 'S'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')
) AS objects ORDER BY text COLLATE "C" DESC)sql";

// Columns by number, then constraints by kind; an index of a constraint is part of it.
constexpr char kTables[] = R"sql(
WITH tables AS (
  SELECT c.oid, c.relname, c.reloptions FROM pg_class c
   WHERE c.relnamespace = 'gannet'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
), lines AS (
  SELECT t.oid, 1 AS kind, a.attnum::integer AS place,
         concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
                   'COLLATE ' || (SELECT quote_ident(l.collname) FROM pg_collation l
                                   WHERE l.oid = a.attcollation AND a.attcollation <> y.typcollation),
                   CASE WHEN a.attstorage <> y.typstorage THEN
                     'STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                                                     WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
                   CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   CASE WHEN a.attidentity <> '' THEN 'GENERATED AS IDENTITY' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS line,
         col_description(t.oid, a.attnum) AS comment
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
         JOIN pg_type y ON y.oid = a.atttypid
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  UNION ALL
  SELECT t.oid, 2, position(k.contype::text IN 'pufc'), pg_get_constraintdef(k.oid), NULL
    FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('p', 'u', 'f', 'c')
), ordered AS (
  SELECT l.*, row_number() OVER w AS number, count(*) OVER (PARTITION BY l.oid) AS count
    FROM lines l WINDOW w AS (PARTITION BY l.oid ORDER BY l.kind, l.place, l.line COLLATE "C")
)
SELECT concat(E'\n-- ' || obj_description(t.oid, 'pg_class'),
              format(E'\nCREATE TABLE gannet.%I (\n', t.relname),
              (SELECT string_agg(concat('  ', o.line, CASE WHEN o.number < o.count THEN ',' END, '  -- ' || o.comment),
                                 E'\n' ORDER BY o.number)
                 FROM ordered o WHERE o.oid = t.oid),
              E'\n)', ' PARTITION BY ' || pg_get_partkeydef(t.oid), ' WITH (' || array_to_string(t.reloptions, ', ') || ')', ';',
              (SELECT string_agg(format(E'\n%s;', pg_get_indexdef(i.indexrelid)), '' ORDER BY i.indexrelid::regclass::text COLLATE "C")
                 FROM pg_index i WHERE i.indrelid = t.oid
                  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u')))) AS text
  FROM tables t ORDER BY t.relname COLLATE "C")sql";

constexpr char kFunctions[] = R"sql(
SELECT concat(E'-- ', p.proname, '(', pg_get_function_arguments(p.oid), E')\n--   -> ', pg_get_function_result(p.oid), '; ',
              coalesce((SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname)
                          FROM pg_roles r WHERE r.rolname IN ('gannet_worker', 'gannet_coordinator')
                           AND has_function_privilege(r.oid, p.oid, 'EXECUTE')), 'other functions')) AS text
  FROM pg_proc p WHERE p.pronamespace = 'gannet'::regnamespace
 ORDER BY p.proname COLLATE "C", p.oid::regprocedure::text COLLATE "C")sql";

}  // namespace

absl::StatusOr<std::string> SchemaText(const std::string& url) {
  std::string text = kHeading;
  const auto append = [&](const char* heading, const char* sql) -> absl::Status {
    absl::StrAppend(&text, heading);
    GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, TestPostgres::Get().Query(url, sql));
    for (const auto& row : rows.rows) absl::StrAppend(&text, row[0].value_or(""), "\n");
    return absl::OkStatus();
  };
  GANNET_RETURN_IF_ERROR(append("\n", kTypes));
  GANNET_RETURN_IF_ERROR(append("", kTables));
  GANNET_RETURN_IF_ERROR(
      append("\n-- Functions of R__*.sql: parameters, result, and who may execute them.\n--\n",
             kFunctions));
  return text;
}

}  // namespace gannet::store

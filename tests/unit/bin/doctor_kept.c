#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../../bin/doctor.h"
#include "../support/base.h"

static struct sb_arena *arena;
static char dir[BASE_DIR_SIZE], seen[1024];

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
    base_dir_make(dir);
    seen[0] = '\0';
}

static void teardown(void)
{
    base_dir_remove(dir);
    sb_arena_free(arena);
}

TestSuite(doctor_kept, .init = setup, .fini = teardown);

static const char *file_of(const char *name, const char *text)
{
    const char *path = sb_arena_printf(arena, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static void note(void *context, const char *file, int line)
{
    size_t length = strlen(seen);
    (void)context;
    snprintf(seen + length, sizeof seen - length, "%s:%d ", strrchr(file, '/') + 1, line);
}

static const char *nginx(const char *text)
{
    seen[0] = '\0';
    cr_assert(doctor_kept_in_nginx(arena, file_of("nginx.conf", text), "/run/sb", note, NULL));
    return seen;
}

static const char *apache(const char *text)
{
    seen[0] = '\0';
    cr_assert(doctor_kept_in_apache(arena, file_of("apache2.conf", text), "/run/sb", note, NULL));
    return seen;
}

#define PASS "fastcgi_pass \"unix:/run/sb/fcgi/health.sock\";"

Test(doctor_kept, a_location_that_keeps_connections_is_found)
{
    cr_expect_str_eq(nginx("http {\n location /api {\n" PASS "\nfastcgi_keep_conn on;\n}\n}\n"),
                     "nginx.conf:4 ");
}

Test(doctor_kept, a_setting_holds_for_the_blocks_in_it)
{
    cr_expect_str_eq(nginx("http { fastcgi_keep_conn\non; server { location /api { " PASS " } } }"),
                     "nginx.conf:1 ");
    cr_expect_str_eq(nginx("fastcgi_keep_conn on; http { location /api { " PASS " } }"),
                     "nginx.conf:1 ");
}

Test(doctor_kept, an_inner_setting_wins)
{
    cr_expect_str_eq(nginx("fastcgi_keep_conn on; http { fastcgi_keep_conn off; l { " PASS " } }"),
                     "");
    cr_expect_str_eq(nginx("http { fastcgi_keep_conn off; l { fastcgi_keep_conn on; " PASS " } }"),
                     "nginx.conf:1 ");
}

Test(doctor_kept, a_setting_is_not_its_neighbours)
{
    cr_expect_str_eq(nginx("http { a { fastcgi_keep_conn on; } b { " PASS " } }"), "");
}

Test(doctor_kept, other_programs_may_keep_theirs)
{
    cr_expect_str_eq(nginx("http { fastcgi_keep_conn on; fastcgi_pass unix:/run/php.sock; }"), "");
}

Test(doctor_kept, a_comment_sets_nothing)
{
    cr_expect_str_eq(nginx("http { # fastcgi_keep_conn on;\n" PASS " }"), "");
    cr_expect_str_eq(nginx("http { # }\n" PASS "\nfastcgi_keep_conn on; }"), "nginx.conf:3 ");
}

Test(doctor_kept, quoted_signs_end_no_directive)
{
    cr_expect_str_eq(nginx("http { a \"};{\" ';}'; " PASS " fastcgi_keep_conn 'on'; }"),
                     "nginx.conf:1 ");
}

Test(doctor_kept, included_files_are_read_in_their_place)
{
    file_of("one.inc", "\n" PASS "\n");
    file_of("two.inc", "\n\nfastcgi_keep_conn on;\n");
    cr_expect_str_eq(nginx("http { location /api { include *.inc; } }"), "two.inc:3 ");
}

Test(doctor_kept, a_file_that_includes_itself_ends)
{
    cr_expect_str_eq(nginx("include nginx.conf;\n"), "");
}

Test(doctor_kept, a_file_that_is_not_there_is_said)
{
    cr_expect_not(doctor_kept_in_nginx(arena, "/nowhere/nginx.conf", "/run/sb", note, NULL));
    cr_expect_not(doctor_kept_in_apache(arena, "/nowhere/apache2.conf", "/run/sb", note, NULL));
}

Test(doctor_kept, apaches_reused_connections_are_found)
{
    cr_expect_str_eq(apache("<VirtualHost *>\n"
                            "  ProxyPass \"/api\" \"unix:/run/sb/a.sock|fcgi://a/\" "
                            "enablereuse=on\n</VirtualHost>\n"),
                     "apache2.conf:2 ");
    file_of("site.conf", "proxypass /api unix:/run/sb/a.sock|fcgi://a/ EnableReuse=On\n");
    cr_expect_str_eq(apache("IncludeOptional \"*.conf.none\"\nInclude site.conf\n"),
                     "site.conf:1 ");
}

Test(doctor_kept, apaches_other_lines_are_not)
{
    cr_expect_str_eq(apache("#ProxyPass /api unix:/run/sb/a.sock|fcgi://a/ enablereuse=on\n"
                            "ProxyPass /php unix:/run/php.sock|fcgi://a/ enablereuse=on\n"
                            "ProxyPass /api unix:/run/sb/a.sock|fcgi://a/ flushpackets=on\n"),
                     "");
}

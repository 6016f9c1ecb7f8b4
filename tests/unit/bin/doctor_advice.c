#include <criterion/criterion.h>
#include <string.h>

#include "../../../bin/doctor.h"

Test(doctor_advice, a_server_is_known_by_its_header)
{
    cr_expect_eq(doctor_server_of("lighttpd/1.4.69"), DOCTOR_LIGHTTPD);
    cr_expect_eq(doctor_server_of("Apache/2.4.62 (Debian) mod_fcgid/2.3.9"), DOCTOR_APACHE);
    cr_expect_eq(doctor_server_of("Apache"), DOCTOR_APACHE);
    cr_expect_eq(doctor_server_of("nginx"), DOCTOR_NGINX);
    cr_expect_eq(doctor_server_of("NGINX/1.22.1"), DOCTOR_NGINX);
}

Test(doctor_advice, another_server_is_unknown)
{
    cr_expect_eq(doctor_server_of("cloudflare"), DOCTOR_UNKNOWN);
    cr_expect_eq(doctor_server_of("nginxish"), DOCTOR_UNKNOWN);
    cr_expect_eq(doctor_server_of("a proxy before nginx"), DOCTOR_UNKNOWN);
    cr_expect_eq(doctor_server_of("ngin"), DOCTOR_UNKNOWN);
    cr_expect_eq(doctor_server_of(""), DOCTOR_UNKNOWN);
}

Test(doctor_advice, each_server_has_its_own_line)
{
    cr_expect_not_null(strstr(doctor_advice("authorization", DOCTOR_APACHE), "CGIPassAuth On"));
    cr_expect_not_null(strstr(doctor_advice("body-limit", DOCTOR_NGINX), "client_max_body_size"));
    cr_expect_not_null(
        strstr(doctor_advice("body-limit", DOCTOR_LIGHTTPD), "server.max-request-size"));
    cr_expect_not_null(strstr(doctor_advice("alias", DOCTOR_NGINX), "location ^~ /api/"));
}

Test(doctor_advice, what_is_no_servers_matter_is_the_same_for_all)
{
    cr_expect_str_eq(doctor_advice("clock", DOCTOR_NGINX), doctor_advice("clock", DOCTOR_UNKNOWN));
    cr_expect_not_null(strstr(doctor_advice("clock", DOCTOR_UNKNOWN), "set-ntp"));
}

Test(doctor_advice, no_check_is_without_advice)
{
    cr_expect_not_null(strstr(doctor_advice("unheard of", DOCTOR_NGINX), "OPS_RUNBOOK"));
}

/* How stored things look in answers: field tables shared by endpoints. */
#ifndef SB_ENDPOINT_VIEWS_H
#define SB_ENDPOINT_VIEWS_H

#include "http/fields.h"

extern const struct sb_field sb_call_fields[];        /* struct sb_call */
extern const struct sb_field sb_participant_fields[]; /* struct sb_participant */
extern const struct sb_field sb_jitsi_fields[];       /* struct sb_jitsi_room */
extern const struct sb_field sb_ice_server_fields[];  /* struct sb_ice_server */

#endif

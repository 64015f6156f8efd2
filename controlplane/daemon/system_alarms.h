/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms of the system around culvertd, which others leave as files. */
#ifndef CULVERT_DAEMON_SYSTEM_ALARMS_H
#define CULVERT_DAEMON_SYSTEM_ALARMS_H

/* Calls `each` with every line of the files in a folder, by the files' names; hidden ones and such
 * as end in ".tmp" are being written. A folder that isn't there has none. Bounded: a 17th file, a
 * 17th line and a file of more than 4 KiB are left out. */
void system_alarms(const char *folder, void (*each)(void *arg, const char *text), void *arg);

#endif

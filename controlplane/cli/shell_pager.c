/* SPDX-License-Identifier: Apache-2.0 */
/* Shows what comes out of a pipe a screen at a time. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "controlplane/cli/shell.h"
#include "controlplane/cli/table.h"

struct pager {
    unsigned rows, columns;  /* of the screen */
    unsigned row, column;    /* of what was shown since the last key */
    bool escape, parameters; /* in an escape sequence, behind its [ */
};

/* Moves over a byte that is shown. */
static void pager_count(struct pager *pager, unsigned char c)
{
    if (pager->escape) {
        pager->escape = !pager->parameters ? c == '[' : c < 0x40; /* ECMA-48 section 5.4 */
        pager->parameters = pager->escape;
    } else if (c == '\033') {
        pager->escape = true;
    } else if (c == '\n') {
        pager->row++;
        pager->column = 0;
    } else if ((c & 0xc0) != 0x80 && c >= ' ') {
        pager->row += pager->column == pager->columns;
        pager->column = pager->column == pager->columns ? 1 : pager->column + 1;
    }
}

/* Asks how to go on; false: not at all. */
static bool pager_ask(struct pager *pager)
{
    static const char question[] = "-- more: space a screen, Enter a line, q ends --";
    struct termios before, raw;
    char key = 'q';
    bool on;

    if (tcgetattr(STDIN_FILENO, &before))
        return false;
    raw = before;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    printf("%s", question);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    on = read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != 4;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    printf("\r%*s\r", (int)sizeof(question), "");
    pager->row = key == '\n' || key == '\r' ? pager->rows - 2 : 0;
    return on;
}

void shell_page(int input)
{
    struct pager pager = {0};
    struct winsize size;
    char chunk[4096];
    ssize_t count = 1;

    if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row > 2 && size.ws_col) {
        pager.rows = size.ws_row;
        pager.columns = size.ws_col;
    }
    while (count > 0 || (count < 0 && errno == EINTR)) {
        count = read(input, chunk, sizeof(chunk));
        for (ssize_t i = 0; i < count; i++) {
            if (pager.rows && !pager.column && pager.row + 1 >= pager.rows && !pager_ask(&pager)) {
                printf("%s", COLOR_NONE);
                return;
            }
            putchar(chunk[i]);
            pager_count(&pager, (unsigned char)chunk[i]);
        }
        fflush(stdout);
    }
}

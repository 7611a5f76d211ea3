/*
 * A line editor for a VT100: insertion anywhere, and the lines before by the up and down keys.
 *
 * A key is a byte, or an escape sequence that stands for a key ("Control Sequences", ECMA-48): both
 * lead to a row of one table. Only what has changed behind the cursor is drawn, so that a serial
 * line stays fast.
 */
#include "line.h"

#include "kernel.h"

#define HISTORY      16u /* lines kept */
#define ESCAPE       0x1b
#define CTRL(letter) (0x1f & (letter))

/* Keys that are no bytes of their own. */
enum key { KEY_UP = 0x100, KEY_DOWN, KEY_RIGHT, KEY_LEFT, KEY_HOME, KEY_END, KEY_DELETE, KEY_NONE };

const char line_keys[] = "Keys: arrows (left, right; up, down: the lines before), Home, End, "
                         "Delete, backspace, Ctrl-U (delete the "
                         "line), Ctrl-C (abort the line or the command).";

struct line {
    char *text;
    size_t len, at;       /* at: the cursor */
    unsigned back;        /* how many lines before the new one the shown line is; 0: the new one */
    char draft[LINE_MAX]; /* the new line, while another one is shown */
};

static char history[HISTORY][LINE_MAX];
static unsigned newest; /* counts all lines kept; the last is history[(newest - 1) % HISTORY] */

static void move_left(size_t count)
{
    while (count-- > 0)
        printf("\b");
}

/* Draws the text from the cursor on, and `longer` blanks over what the old text had more; the
 * cursor stays. */
static void draw_rest(const struct line *line, size_t longer)
{
    size_t rest = line->len - line->at;
    printf("%.*s", (int)rest, line->text + line->at);
    for (size_t i = 0; i < longer; i++)
        printf(" ");
    move_left(rest + longer);
}

static void move_to(struct line *line, size_t at)
{
    if (at < line->at)
        move_left(line->at - at);
    else
        printf("%.*s", (int)(at - line->at), line->text + line->at);
    line->at = at;
}

static void insert(struct line *line, char byte)
{
    if (line->len == LINE_MAX - 1)
        return;
    memmove(line->text + line->at + 1, line->text + line->at, line->len - line->at);
    line->text[line->at] = byte;
    line->len++;
    printf("%c", byte);
    line->at++;
    draw_rest(line, 0);
}

static void delete_here(struct line *line)
{
    if (line->at == line->len)
        return;
    line->len--;
    memmove(line->text + line->at, line->text + line->at + 1, line->len - line->at);
    draw_rest(line, 1);
}

static void delete_before(struct line *line)
{
    if (line->at == 0)
        return;
    move_to(line, line->at - 1);
    delete_here(line);
}

static void replace(struct line *line, const char *text)
{
    size_t before = line->len;
    move_to(line, 0);
    line->len = strlen(text);
    memmove(line->text, text, line->len);
    draw_rest(line, before > line->len ? before - line->len : 0);
    move_to(line, line->len);
}

static void clear(struct line *line)
{
    replace(line, "");
}

/* Shows the line that is `back` lines before the new one; 0: the new one. */
static void show(struct line *line, unsigned back)
{
    unsigned kept = newest < HISTORY ? newest : HISTORY;
    if (back > kept || back == line->back)
        return;
    if (line->back == 0) {
        memcpy(line->draft, line->text, line->len);
        line->draft[line->len] = '\0';
    }
    line->back = back;
    replace(line, back ? history[(newest - back) % HISTORY] : line->draft);
}

static void show_older(struct line *line)
{
    show(line, line->back + 1);
}

static void show_newer(struct line *line)
{
    if (line->back)
        show(line, line->back - 1);
}

static void go_left(struct line *line)
{
    move_to(line, line->at ? line->at - 1 : 0);
}

static void go_right(struct line *line)
{
    move_to(line, line->at < line->len ? line->at + 1 : line->len);
}

static void go_home(struct line *line)
{
    move_to(line, 0);
}

static void go_end(struct line *line)
{
    move_to(line, line->len);
}

static const struct {
    int key;
    void (*act)(struct line *line);
} actions[] = {
    {KEY_UP, show_older},      {KEY_DOWN, show_newer}, {KEY_LEFT, go_left},   {KEY_RIGHT, go_right},
    {KEY_HOME, go_home},       {CTRL('A'), go_home},   {KEY_END, go_end},     {CTRL('E'), go_end},
    {KEY_DELETE, delete_here}, {'\b', delete_before},  {0x7f, delete_before}, {CTRL('U'), clear},
};

/* How an escape sequence ends: its last byte, and for '~' the number before it. */
static const struct {
    char last;
    unsigned number;
    enum key key;
} sequences[] = {
    {'A', 0, KEY_UP},   {'B', 0, KEY_DOWN}, {'C', 0, KEY_RIGHT}, {'D', 0, KEY_LEFT},
    {'H', 0, KEY_HOME}, {'F', 0, KEY_END},  {'~', 1, KEY_HOME},  {'~', 3, KEY_DELETE},
    {'~', 4, KEY_END},  {'~', 7, KEY_HOME}, {'~', 8, KEY_END},
};

/* Reads what follows an ESC: "[", or "O" of an application's keypad, then numbers and
 * semicolons, then a last byte. The key, or a negative number after Ctrl-C. */
static int read_sequence(void)
{
    int byte = console_read_byte();
    unsigned number = 0;
    if (byte != '[' && byte != 'O')
        return byte < 0 ? byte : KEY_NONE;
    for (byte = console_read_byte(); byte >= '0' && byte <= ';'; byte = console_read_byte())
        if (byte <= '9')
            number = (number * 10 + (unsigned)(byte - '0')) % 1000;
    for (unsigned i = 0; i < sizeof(sequences) / sizeof(*sequences); i++)
        if (sequences[i].last == byte && (byte != '~' || sequences[i].number == number))
            return sequences[i].key;
    return byte < 0 ? byte : KEY_NONE;
}

static void keep(const char *text)
{
    if (*text == '\0' || (newest && strcmp(text, history[(newest - 1) % HISTORY]) == 0))
        return;
    memcpy(history[newest % HISTORY], text, strlen(text) + 1);
    newest++;
}

bool line_read(const char *prompt, char *text)
{
    struct line line = {.text = text};
    printf("%s", prompt);
    for (;;) {
        int key = console_read_byte();
        if (key == ESCAPE)
            key = read_sequence();
        if (key < 0) {
            printf("^C\n");
            return false;
        }
        if (key == '\r' || key == '\n') {
            text[line.len] = '\0';
            printf("\n");
            keep(text);
            return true;
        }
        for (unsigned i = 0; i < sizeof(actions) / sizeof(*actions); i++)
            if (actions[i].key == key)
                actions[i].act(&line);
        if (key >= ' ' && key < 0x7f)
            insert(&line, (char)key);
    }
}

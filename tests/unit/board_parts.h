/*
 * The board's neighbours, replaced: the strategies, the host ends behind them, the clock and the
 * mapped interrupt controller only note what they are asked (rig.h). board.c, device.c, lines.c,
 * windows.c, the emulated interrupt controller and the windows are the real ones.
 */
#pragma once
#include "board/board.h"
#include "board/devices.h"
#include "rig.h"

struct board_parts {
    int rtc_status, console_status, disk_status, plic_status, attach_status; /* what these return */
    bool no_disk;        /* the machine has none */
    uint64_t plic_next;  /* when the mapped controller wants to be polled again */
    uint64_t next_look;  /* when the ends want to be looked at */
    bool services_yield; /* a device that is served stops in the middle */
};

extern struct board_parts board_parts;
extern struct board board;

/* rig_row(); the board's options are all zero: a machine with everything, all of it emulated. */
void board_parts_row(const char *name);

/* board_init() with the guest's RAM as the place for the devices' state. Its calls are noted. */
int board_parts_init(void);

/* The same in a row that is about what follows: a board that is reset, with nothing noted. */
void board_parts_start(void);

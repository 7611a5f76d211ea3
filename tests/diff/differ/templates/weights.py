"""The templates of vS, each with its weight."""

from .csr import t_csr, t_illegal_csr, t_trap
from .flow import (t_alias, t_branch, t_call, t_cluster, t_loop, t_middle, t_sbi, t_sret, t_swap,
                   t_user)
from .interrupts import (t_interrupt, t_irq_call, t_irq_dead, t_irq_float, t_irq_loop, t_irq_pair,
                         t_vectored, t_wfi)
from .memory import (t_checksum, t_edit, t_edit_big, t_ends, t_modify, t_nowhere, t_null,
                     t_read_code, t_space)
from .plain import t_access, t_atomic, t_counter, t_float, t_plain, t_toggle, t_top_page

SUPERVISOR = [
    (t_plain, 6), (t_access, 8), (t_toggle, 5), (t_atomic, 2), (t_top_page, 2), (t_float, 3),
    (t_counter, 1),
    (t_trap, 3), (t_csr, 12), (t_illegal_csr, 2), (t_irq_pair, 7), (t_swap, 4), (t_cluster, 10),
    (t_branch, 5), (t_loop, 4), (t_middle, 3), (t_sret, 4), (t_user, 7), (t_alias, 3), (t_call, 4),
    (t_sbi, 3), (t_interrupt, 7), (t_wfi, 2), (t_vectored, 2), (t_edit, 8),
    (t_edit_big, 2), (t_nowhere, 1), (t_space, 5),
    (t_modify, 5), (t_read_code, 3), (t_checksum, 1),
    (t_irq_dead, 10), (t_irq_call, 3), (t_irq_loop, 4), (t_irq_float, 2), (t_null, 2), (t_ends, 2),
]

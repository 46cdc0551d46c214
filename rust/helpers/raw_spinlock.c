// SPDX-License-Identifier: GPL-2.0

#include <linux/spinlock.h>

/* Not under the name of the C function, whose last argument is fixed here. */
__rust_helper void rust_helper_raw_spin_lock_init_class(raw_spinlock_t *lock,
							const char *name,
							struct lock_class_key *key)
{
#ifdef CONFIG_DEBUG_SPINLOCK
	__raw_spin_lock_init(lock, name, key, LD_WAIT_SPIN);
#else
	raw_spin_lock_init(lock);
#endif
}

__rust_helper void rust_helper_raw_spin_lock_irq_disable(raw_spinlock_t *lock)
{
	raw_spin_lock_irq_disable(lock);
}

__rust_helper void rust_helper_raw_spin_unlock_irq_enable(raw_spinlock_t *lock)
{
	raw_spin_unlock_irq_enable(lock);
}

__rust_helper int rust_helper_raw_spin_trylock_irq_disable(raw_spinlock_t *lock)
{
	local_interrupt_disable();
	if (raw_spin_trylock(lock))
		return 1;
	local_interrupt_enable();

	return 0;
}

__rust_helper void rust_helper_raw_spin_assert_is_held(raw_spinlock_t *lock)
{
	lockdep_assert_held(lock);
}

// SPDX-License-Identifier: GPL-2.0

#include <linux/cacheflush.h>
#include <linux/mm.h>

__rust_helper struct page *rust_helper_virt_to_page(const void *addr)
{
	return virt_to_page(addr);
}

__rust_helper void *rust_helper_page_address(const struct page *page)
{
	return page_address(page);
}

__rust_helper struct page *rust_helper_zero_page(unsigned long vaddr)
{
	return ZERO_PAGE(vaddr);
}

__rust_helper void rust_helper_flush_kernel_vmap_range(void *vaddr, int size)
{
	flush_kernel_vmap_range(vaddr, size);
}

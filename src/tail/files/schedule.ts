/** A binary heap by time of the next check whose entries can be moved; parked files cost nothing. */

export interface Scheduled {
  /** Monotonic milliseconds. */
  due: number;
  /** Place in the heap, kept by the heap; -1: not in it. */
  slot: number;
}

export class CheckHeap<T extends Scheduled> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  first(): T | undefined {
    return this.#items[0];
  }

  /** Adds the item or moves it to `due`. */
  schedule(item: T, due: number): void {
    item.due = due;
    if (item.slot < 0) {
      item.slot = this.#items.length;
      this.#items.push(item);
    }
    this.#up(item.slot);
    this.#down(item.slot);
  }

  remove(item: T): void {
    const slot = item.slot;
    if (slot < 0) return;
    item.slot = -1;
    const last = this.#items.pop()!;
    if (last === item) return;
    this.#items[slot] = last;
    last.slot = slot;
    this.#up(slot);
    this.#down(last.slot);
  }

  #up(slot: number): void {
    const items = this.#items;
    const item = items[slot]!;
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      const other = items[parent]!;
      if (other.due <= item.due) break;
      items[slot] = other;
      other.slot = slot;
      slot = parent;
    }
    items[slot] = item;
    item.slot = slot;
  }

  #down(slot: number): void {
    const items = this.#items;
    const item = items[slot]!;
    for (;;) {
      let child = 2 * slot + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && items[child + 1]!.due < items[child]!.due) child++;
      const other = items[child]!;
      if (other.due >= item.due) break;
      items[slot] = other;
      other.slot = slot;
      slot = child;
    }
    items[slot] = item;
    item.slot = slot;
  }
}

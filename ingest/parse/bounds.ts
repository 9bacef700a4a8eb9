/** Bounds of the objects that others send. */
const deepest = 32;
const mostKeys = 1000;

/** Whether an object nests no deeper, and has no more keys in all, than what anyone logs. */
export function isModest(object: object): boolean {
  return keysLeft(object, deepest, mostKeys) >= 0;
}

/** How many keys more it may have, of so many; less than none: it has too many, or nests deeper than so. */
function keysLeft(object: object, depth: number, most: number): number {
  if (depth === 0) return -1;
  const members: readonly unknown[] = Object.values(object);
  let left = Array.isArray(object) ? most : most - members.length;
  for (const member of members) {
    if (left < 0) return left;
    if (typeof member === 'object' && member !== null) left = keysLeft(member, depth - 1, left);
  }
  return left;
}

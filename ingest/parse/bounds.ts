/** Bounds of the objects that others send. */
const deepest = 32;
const mostKeys = 1000;

/** Whether an object nests no deeper, and has no more keys in all, than what anyone logs. */
export function isModest(object: object): boolean {
  let keys = 0;
  const fits = (value: unknown, depth: number): boolean => {
    if (typeof value !== 'object' || value === null) return true;
    if (depth > deepest) return false;
    const members: readonly unknown[] = Object.values(value);
    keys += Array.isArray(value) ? 0 : members.length;
    return keys <= mostKeys && members.every((member) => fits(member, depth + 1));
  };
  return fits(object, 1);
}

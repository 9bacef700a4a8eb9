import { expect, onTestFinished, test, vi } from 'vitest';
import { catchEndSignals } from '../../src/cli/signals.ts';

test('of a signal that comes twice at once, as Ctrl-C does by npm, only the first counts; a later one is no longer caught', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const before = process.listenerCount('SIGINT');
  using ending = catchEndSignals();
  process.emit('SIGINT', 'SIGINT');
  expect(await ending.first).toBe('SIGINT');
  expect(ending.signal.aborted).toBe(true);
  vi.advanceTimersByTime(500);
  process.emit('SIGINT', 'SIGINT');
  expect(process.listenerCount('SIGINT')).toBe(before + 1);
  vi.advanceTimersByTime(500);
  expect(process.listenerCount('SIGINT')).toBe(before);
});

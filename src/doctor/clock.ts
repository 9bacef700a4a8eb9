import { failed, type Finding } from './finding.ts';

/** How far, in ms, two clocks may be apart, of which one tells whole seconds. */
const tolerance = 5000;

/** What is wrong with a clock that now shows `time`, in ms since 1970; undefined: it is like this machine's. */
export function compareClock(time: number): Finding | undefined {
  const ahead = time - Date.now();
  if (!(Math.abs(ahead) > tolerance)) return undefined;
  const than = `${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead of' : 'behind'} this machine's`;
  return failed(`its clock is ${than}`, 'let both clocks be set by NTP: timedatectl set-ntp true');
}

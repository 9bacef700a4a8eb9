/** Where keys and their bytes are kept. */
export interface Driver extends AsyncDisposable {
  readonly kind: 'disk' | 'memory';
}

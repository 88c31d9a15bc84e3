/** Something the reader should know at once. */
export function Notice({ text }: { text: string }) {
  return (
    <p class="notice" role="alert">
      {text}
    </p>
  )
}

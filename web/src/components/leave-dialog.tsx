import { useEffect, useRef } from 'preact/hooks'

interface Props {
  /** The request is under way: there is no way back. */
  sent: boolean
  onLeave: () => void
  onStay: () => void
}

/** Asks whether the athlete really wants to leave. */
export function LeaveDialog({ sent, onLeave, onStay }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])

  const cancel = (event: Event) => {
    event.preventDefault()
    if (!sent) onStay()
  }

  return (
    <dialog ref={dialog} aria-labelledby="leave" onCancel={cancel}>
      <h2 id="leave">Leave Paceline?</h2>
      <p>
        The permission you gave at Strava ends, and your profile, activities and totals are erased here. What you have
        at Strava stays as it is. You get a receipt that confirms the erasure.
      </p>
      <div class="buttons">
        <button type="button" class="button" disabled={sent} onClick={onStay}>
          Stay
        </button>
        <button type="button" class="button danger" disabled={sent} onClick={onLeave}>
          {sent ? 'Leaving…' : 'Leave and erase my data'}
        </button>
      </div>
    </dialog>
  )
}

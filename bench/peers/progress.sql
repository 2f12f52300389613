WITH course AS (
  SELECT *, SUM(outcome <> 'interrupted') OVER past AS attempts,
    SUM(status = 'keep') OVER past AS kept, SUM(seconds) OVER past AS spent
  FROM experiment
  WHERE campaign = :campaign
  WINDOW past AS (ORDER BY seq)
)
SELECT t.name, seq, metric, value, delta, ABS(delta) <= noise,
  (SELECT group_concat(knob, ' ')
    FROM (SELECT DISTINCT knob FROM trial WHERE experiment = t.id ORDER BY knob)),
  attempts, kept, spent, description
FROM course t JOIN campaign c ON c.name = t.campaign
WHERE status = 'keep'
ORDER BY seq
LIMIT 200
